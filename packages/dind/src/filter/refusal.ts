/** Why a request does not go on: an HTTP status, and in Docker's error form what, by which rule, and what to do. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  /** Stable word for metrics and audit lines, such as `field-denied`. */
  readonly rule: string;
  /** Place in the request, such as `HostConfig.Privileged`; empty for the request as a whole. */
  readonly field: string;

  constructor(status: number, rule: string, field: string, message: string) {
    super(message);
    this.status = status;
    this.rule = rule;
    this.field = field;
  }
}

/** The request is not what the API describes. */
export const malformed = (field: string, message: string, rule = "malformed"): Refusal =>
  new Refusal(400, rule, field, field === "" ? message : `${field}: ${message}`);

/** The request asks for more than a container of this pod may have. */
export const denied = (field: string, message: string, rule = "field-denied"): Refusal =>
  new Refusal(403, rule, field, `${field}: ${message} [aeon: ${rule}]`);
