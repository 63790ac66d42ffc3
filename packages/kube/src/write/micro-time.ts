/** A time as Kubernetes' MicroTime. */
export const microTime = (time: Date): string => time.toISOString().replace(/(\.\d{3})Z$/, "$1000Z");
