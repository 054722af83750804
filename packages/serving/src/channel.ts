/** A queue between one who puts in and one who waits. */
export class Channel<T> {
  private readonly items: T[] = [];
  private failure: { readonly reason: unknown } | undefined;
  private wake: () => void = () => {};

  put(item: T): void {
    this.items.push(item);
    this.wake();
  }

  /** Whoever waits, now or later, gets this error, before anything that is still in the queue. */
  fail(reason: unknown): void {
    this.failure ??= { reason };
    this.wake();
  }

  async take(): Promise<T> {
    while (!this.failure && this.items.length === 0)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    if (this.failure) throw this.failure.reason;
    return this.items.shift() as T;
  }
}
