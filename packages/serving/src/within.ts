/** What a promise gives; undefined when it has not come after so many seconds. It goes on then. */
export async function within<T>(promise: Promise<T>, seconds: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, seconds * 1000);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
