import type { DescMethod } from "@bufbuild/protobuf";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { errorMessage } from "@aeon/core";
import { errors } from "../errors.ts";
import { methodDefinition } from "./service-definition.ts";

/** Stands for a request that could not be decoded, so that the handler's wrapper can answer it with a proper code. */
class MalformedRequest {
  readonly problem: string;

  constructor(problem: string) {
    this.problem = problem;
  }
}

/**
 * Describes a method to the server. A single request that cannot be decoded reaches the wrapper, which checks it
 * with {@link wellFormed}; grpc-js by itself would answer `internal`.
 */
export function servedMethod(method: DescMethod): ServiceDefinition[string] {
  const definition = methodDefinition(method);
  const decode = definition.requestDeserialize;
  if (definition.requestStream) return definition;
  return {
    ...definition,
    requestDeserialize: (bytes) => {
      try {
        return decode(bytes);
      } catch (error) {
        return new MalformedRequest(errorMessage(error));
      }
    },
  };
}

/** The request, unless it could not be decoded: then throws `REQUEST_MALFORMED`. */
export function wellFormed<Input>(input: Input, method: string): Input {
  if (input instanceof MalformedRequest)
    throw errors.REQUEST_MALFORMED(`${method}: the request cannot be decoded: ${input.problem}`);
  return input;
}
