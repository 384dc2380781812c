import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** The bare floor: node:http that reads a request whole and sends back a short answer, or the number of bytes asked for. */
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const answerBytes = Number(request.headers["x-answer-bytes"] ?? 100);
    response.writeHead(200, { "content-type": "application/x-amz-json-1.1", "content-length": answerBytes });
    response.end(Buffer.alloc(answerBytes, 97));
  });
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ endpoint: `http://127.0.0.1:${port}`, pid: process.pid })}\n`);
});
process.on("SIGTERM", () => process.exit(0));
