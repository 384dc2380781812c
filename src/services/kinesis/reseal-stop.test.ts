import { expect, test } from "vitest";
import { resealJobs } from "./reseal-job.ts";
import { ResealRoom } from "./testing/reseal-room.ts";

test("a job of which nobody heard that its end was written down stays ended when the server stops", async () => {
  const subject = new ResealRoom();
  const { room, failures } = subject;
  await room.stream();
  await room.put("one");
  await room.encrypt();
  const run = room.kms.run.bind(room.kms);
  room.kms.run = async (call, service, operation, input) => {
    const answer = await run(call, service, operation, input);
    if (operation === "EndStreamReseal") throw new Error("the answer was lost");
    return answer;
  };
  subject.start();
  await subject.reseal();
  expect((await subject.ended()).state).toBe("DONE");
  await subject.stop();
  expect(failures.map(String)).toEqual(["Error: the answer was lost"]);
  const jobs = await room.reader.list(resealJobs, { prefix: [], limit: 10 });
  expect(jobs.map(({ value }) => value.state)).toEqual(["DONE"]);
});
