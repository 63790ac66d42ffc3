export type * from "./deps.ts";
export { adminService, type AdminCall, type AdminServiceFunctions } from "./service.ts";
export { serveAdmin, type AdminServerOptions } from "./server.ts";
export { errors as adminErrors } from "./errors.ts";
