import { type StoreFixture, storeContract } from "./contract.ts";
import { deviceContract } from "./device-contract.ts";
import { expiryContract } from "./expiry-contract.ts";
import { logContract } from "./log-contract.ts";
import { MemoryDisk, MemoryStore } from "./memory.ts";
import { perishableContract } from "./perishable-contract.ts";
import { replanningContract } from "./replanning-contract.ts";
import { retentionContract } from "./retention-contract.ts";

storeContract("memory", fixture);
perishableContract("memory", fixture);
deviceContract("memory", fixture);
logContract("memory", fixture);
replanningContract("memory", fixture);
expiryContract("memory", fixture);
retentionContract("memory", fixture);

async function fixture(): Promise<StoreFixture> {
  let nowMs = 1_000;
  const disk = new MemoryDisk();
  let ids = 0;
  return {
    open: async (options = {}) => {
      const newId = () => {
        ids += 1;
        return ids;
      };
      return new MemoryStore({
        ...options,
        disk,
        nowMs: () => nowMs,
        newSessionId: () => new Uint8Array(16).fill(newId()),
        newTimelineEpoch: newId,
      });
    },
    setMs: (ms) => {
      nowMs = ms;
    },
    dispose: async () => {},
  };
}
