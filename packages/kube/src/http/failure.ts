import { AeonError, errorMessage, type AeonErrorOptions } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";

const statusSchema = v.object({ message: v.optional(v.string()), reason: v.optional(v.string()) });

/** What an answer of the API server that is no success means. */
export function failureOf(status: number, body: unknown, doing: string): AeonError {
  const parsed = v.safeParse(statusSchema, body);
  const said = parsed.success ? (parsed.output.message ?? parsed.output.reason) : undefined;
  const text = said === undefined || said === "" ? `HTTP ${status}` : said.slice(0, 2000);
  return factoryOf(status)(`${doing}: ${text}`, { details: { status } });
}

function factoryOf(status: number): (message: string, options: AeonErrorOptions) => AeonError {
  switch (status) {
    case 401:
      return errors.KUBE_UNAUTHENTICATED;
    case 403:
      return errors.KUBE_FORBIDDEN;
    case 404:
      return errors.KUBE_NOT_FOUND;
    case 409:
      return errors.KUBE_CONFLICT;
    case 410:
      return errors.KUBE_EXPIRED;
    case 400:
    case 405:
    case 415:
    case 422:
      return errors.KUBE_REFUSED;
    default:
      return errors.KUBE_BUSY;
  }
}

/** What a call means that got no answer. */
export function unreachable(error: unknown, doing: string): AeonError {
  if (error instanceof AeonError) return error;
  return errors.KUBE_UNREACHABLE(`${doing}: ${errorMessage(error)}`, { cause: error });
}
