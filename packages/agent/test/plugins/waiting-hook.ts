import waiting from "./waiting.ts";

/** As `waiting`, but of those that may register snapshot hooks. */
export default { ...waiting, name: "waiting-hook", hooksSnapshots: true };
