/** Version of the agent; equals the package's. */
export const version = "0.1.0";
