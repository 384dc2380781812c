/** A value, or what makes it when somebody asks. The value itself is no function. */
export type Lazy<T extends object> = T | (() => T);

export const madeNow = <T extends object>(lazy: Lazy<T>): T => (typeof lazy === "function" ? lazy() : lazy);
