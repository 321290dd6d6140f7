import { storeContract } from "./contract.ts";
import { MemoryDisk, MemoryStore } from "./memory.ts";

storeContract("memory", async () => {
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
        nowMs: () => 1_000,
        newSessionId: () => new Uint8Array(16).fill(newId()),
        newTimelineEpoch: newId,
      });
    },
    dispose: async () => {},
  };
});
