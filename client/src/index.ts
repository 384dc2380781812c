/** Consumers of Waxseal's streams. Depends on Node alone. */
export { type Answer, type Api, ApiError, type ApiOptions, type CallOptions, createApi } from "./api.ts";
export { type Consumer, type ConsumerOptions, createConsumer } from "./consumer.ts";
export { type Delivery, deliverBatch } from "./delivery.ts";
export { followStream, type Following } from "./follow.ts";
export { type AggregatedRecord, deaggregated } from "./kpl.ts";
export type { Start } from "./lease-table.ts";
export type { StreamRecord } from "./records.ts";
export type { BatchContext, ProcessRecords, PutCheckpoint } from "./shard-work.ts";
export { naming } from "./shards.ts";
export { type Credentials, signedHeaders } from "./sigv4.ts";
export { systemTime, type Time } from "./time.ts";
