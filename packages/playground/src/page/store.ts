import { firstState, keep, type State } from "./state.ts";

/** What is seen: one state, changed in one place, kept for the next time, and told to those who draw it. */
export class Store {
  private readonly listeners = new Set<() => void>();
  private current: State = firstState;

  get now(): State {
    return this.current;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  set(change: Partial<State>): void {
    this.current = { ...this.current, ...change };
    for (const listener of this.listeners) listener();
    if (this.current.scene) keep(this.current.scene, this.current);
  }
}
