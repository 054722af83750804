/** A queue between one who puts in and one who waits. */
export class Channel<T> {
  private readonly items: { readonly item: T; readonly size: number }[] = [];
  private failure: { readonly reason: unknown } | undefined;
  private wake: () => void = () => {};
  private total = 0;

  /** Sizes of all that is in the queue. */
  get size(): number {
    return this.total;
  }

  /** @param size of the item, in any unit */
  put(item: T, size: number): void {
    if (this.failure) return;
    this.items.push({ item, size });
    this.total += size;
    this.wake();
  }

  /** Whoever waits, now or later, gets this error. What is still in the queue is dropped. */
  fail(reason: unknown): void {
    this.failure ??= { reason };
    this.items.length = 0;
    this.total = 0;
    this.wake();
  }

  async take(): Promise<T> {
    while (!this.failure && this.items.length === 0)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    if (this.failure) throw this.failure.reason;
    const [{ item, size }] = this.items.splice(0, 1);
    this.total -= size;
    return item;
  }
}
