#!/usr/bin/env node
import { runNodeJs } from "@bufbuild/protoplugin";
import { posthornPlugin } from "./plugin.ts";

runNodeJs(posthornPlugin);
