import type { HttpHandler } from "../admin/http-server.ts";

/** Makes a handler at its first request; `failed` is told when it cannot be made, and the next request tries again. */
export function lazyHandler(make: () => Promise<HttpHandler>, failed: (error: unknown) => void): HttpHandler {
  let made: Promise<HttpHandler> | undefined;
  return (request, response) => {
    const answer = async (): Promise<void> => {
      try {
        const handler = await (made ??= make());
        handler(request, response);
      } catch (error) {
        made = undefined;
        failed(error);
        response.statusCode = 500;
        response.end();
      }
    };
    void answer();
  };
}
