import assert from "node:assert/strict";
import { test } from "node:test";
import { networkOf } from "./network.ts";
import { PeerCounts } from "./peer-counts.ts";

test("[ENV-54] [LNK-11] an IPv4 address counts by itself, one of IPv6 by its first 64 bits", () => {
  const cases = {
    "192.0.2.1": "192.0.2.1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "::FFFF:192.0.2.1": "192.0.2.1",
    "2001:db8::1": "2001:db8:0:0::/64",
    "2001:DB8:0:0:ffff::": "2001:db8:0:0::/64",
    "2001:0db8:0000:0000:0:0:0:2": "2001:db8:0:0::/64",
    "2001:db8:0:1::1": "2001:db8:0:1::/64",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "fe80::1%eth0": "fe80:0:0:0::/64",
    "::1": "0:0:0:0::/64",
    "::": "0:0:0:0::/64",
    "1::": "1:0:0:0::/64",
    "64:ff9b::192.0.2.1": "64:ff9b:0:0::/64",
    "": "",
    somewhere: "somewhere",
  };
  for (const [peer, network] of Object.entries(cases)) assert.equal(networkOf(peer), network, peer);
});

test("[LNK-11] the addresses behind one prefix share its links", () => {
  const counts = new PeerCounts(2);
  assert.ok(counts.enter("2001:db8::1"));
  assert.ok(counts.enter("2001:db8::2"));
  assert.ok(!counts.enter("2001:db8::3"));
  assert.ok(counts.enter("2001:db8:0:1::3"));
  counts.leave("2001:db8::1");
  assert.ok(counts.enter("2001:db8::3"));
});
