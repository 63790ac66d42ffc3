import { grpcStatusOf, toAeonError, type AeonError } from "@aeon/core";
import { errorDetails } from "@aeon/proto";
import { ConnectError, type Interceptor } from "@connectrpc/connect";

const domain = "aeon";

/** Says a failure in Connect's terms: the same code and message, and an ErrorInfo with reason and details. */
export function toConnectError(error: AeonError): ConnectError {
  const metadata = Object.fromEntries(
    Object.entries(error.details).map(([key, value]) => [key, String(value)]),
  );
  const info = { desc: errorDetails.ErrorInfoSchema, value: { reason: error.reason, domain, metadata } };
  // Connect's codes are gRPC's numbers. The cause is for the log; it does not go on the wire.
  return new ConnectError(error.message, grpcStatusOf(error.code), undefined, [info], error);
}

/**
 * Gives every failure of a call, also one in the middle of a stream, its code, reason and details on the wire,
 * and tells `report` about it.
 */
export function errorInterceptor(report: (method: string, error: AeonError) => void): Interceptor {
  return (next) => async (request) => {
    const convert = (error: unknown): ConnectError => {
      if (error instanceof ConnectError) return error;
      const known = toAeonError(error, request.method.name);
      report(request.method.name, known);
      return toConnectError(known);
    };
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: converting(response.message, convert) } : response;
    } catch (error) {
      throw convert(error);
    }
  };
}

async function* converting<T>(
  messages: AsyncIterable<T>,
  convert: (error: unknown) => ConnectError,
): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw convert(error);
  }
}
