import type { AdamWStep, AttentionShape, Matrix } from "@safedelta/engine";
import type { Case } from "../trial.ts";
import { attentionShape, type Given, ids, itself, overlapping, refusals, type WrongCalls } from "../wrongCall.ts";

/** Calls of the operations of training that every engine must refuse. */
const wrongCalls: WrongCalls = {
  softmaxCrossEntropy: {
    "too few targets": ({ e, f }) => e.softmaxCrossEntropy(f(3, 4), ids(0, 1), f(3, 4)),
    "a target beyond the vocabulary": ({ e, f }) => e.softmaxCrossEntropy(f(3, 4), ids(0, 4, 1), f(3, 4)),
    "a target below -1": ({ e, f }) => e.softmaxCrossEntropy(f(3, 4), ids(0, -2, 1), f(3, 4)),
    "out of another shape": ({ e, f }) => e.softmaxCrossEntropy(f(3, 4), ids(0, 1, 2), f(3, 5)),
    "16-bit logits": ({ e, f, h }) => e.softmaxCrossEntropy(h(1, 4), ids(0), f(1, 4)),
    "16-bit out": ({ e, f, h }) => e.softmaxCrossEntropy(f(1, 4), ids(0), h(1, 4)),
    "a shifted part of itself": ({ e, f }) => overlapping(f, (a, b) => e.softmaxCrossEntropy(a, ids(0, 1, 2), b)),
  },
  rmsNormBackward: {
    "weight as a column": (g) => normBackward(g, { weight: g.f(4, 1) }),
    "another shape of dOut": (g) => normBackward(g, { dOut: g.f(4, 4) }),
    "another shape of dX": (g) => normBackward(g, { dX: g.f(3, 5) }),
    "dWeight of every row": (g) => normBackward(g, { dWeight: g.f(3, 4) }),
    "16-bit x": (g) => normBackward(g, { x: g.h(3, 4) }),
    "16-bit dWeight": (g) => normBackward(g, { dWeight: g.h(1, 4) }),
    "dWeight is the weight": (g) => itself(g.f(1, 4), (weight) => normBackward(g, { weight, dWeight: weight })),
    "dWeight is a row of dX": (g) => itself(g.f(3, 4), (dX) => normBackward(g, { dX, dWeight: dX.view(1, 0, 1, 4) })),
    "dX overlaps dOut": (g) =>
      itself(g.f(4, 4), (m) => normBackward(g, { dOut: m.view(0, 0, 3, 4), dX: m.view(1, 0, 3, 4) })),
    "dX overlaps x": (g) =>
      itself(g.f(4, 4), (m) => normBackward(g, { x: m.view(0, 0, 3, 4), dX: m.view(1, 0, 3, 4) })),
  },
  attentionBackward: {
    "heads that cannot share": (g) => attendBackward(g, {}, { nKvHeads: 3 }),
    "a past": (g) => attendBackward(g, { k: g.f(3, 12), v: g.f(3, 12), dK: g.f(3, 12), dV: g.f(3, 12) }),
    "columns of v": (g) => attendBackward(g, { v: g.f(2, 24) }),
    "rows of out": (g) => attendBackward(g, { out: g.f(3, 24) }),
    "columns of dOut": (g) => attendBackward(g, { dOut: g.f(2, 12) }),
    "columns of dQ": (g) => attendBackward(g, { dQ: g.f(2, 12) }),
    "rows of dK": (g) => attendBackward(g, { dK: g.f(3, 12) }),
    "columns of dV": (g) => attendBackward(g, { dV: g.f(2, 24) }),
    "16-bit out": (g) => attendBackward(g, { out: g.h(2, 24) }),
    "16-bit dV": (g) => attendBackward(g, { dV: g.h(2, 12) }),
    "dQ is dOut": (g) => itself(g.f(2, 24), (m) => attendBackward(g, { dOut: m, dQ: m })),
    "dK is k": (g) => itself(g.f(2, 12), (m) => attendBackward(g, { k: m, dK: m })),
    "dV is v": (g) => itself(g.f(2, 12), (m) => attendBackward(g, { v: m, dV: m })),
    "dK is dV": (g) => itself(g.f(2, 12), (m) => attendBackward(g, { dK: m, dV: m })),
  },
  gatedActivationBackward: {
    "another shape of up": (g) => gateBackward(g, { up: g.f(3, 2) }),
    "another shape of dUp": (g) => gateBackward(g, { dUp: g.f(2, 4) }),
    "16-bit gate": (g) => gateBackward(g, { gate: g.h(2, 3) }),
    "16-bit dGate": (g) => gateBackward(g, { dGate: g.h(2, 3) }),
    "dGate is dUp": (g) => itself(g.f(2, 3), (m) => gateBackward(g, { dGate: m, dUp: m })),
    "dUp overlaps dOut": (g) =>
      itself(g.f(3, 3), (m) => gateBackward(g, { dOut: m.view(0, 0, 2, 3), dUp: m.view(1, 0, 2, 3) })),
  },
  scatterAdd: {
    "too few rows": ({ e, f }) => e.scatterAdd(f(3, 5), ids(0, 1), f(4, 5)),
    "other columns": ({ e, f }) => e.scatterAdd(f(2, 4), ids(0, 1), f(4, 5)),
    "row outside": ({ e, f }) => e.scatterAdd(f(2, 5), ids(0, 4), f(4, 5)),
    "negative row": ({ e, f }) => e.scatterAdd(f(2, 5), ids(0, -1), f(4, 5)),
    "16-bit src": ({ e, f, h }) => e.scatterAdd(h(2, 5), ids(0, 1), f(4, 5)),
    "16-bit dst": ({ e, f, h }) => e.scatterAdd(f(2, 5), ids(0, 1), h(4, 5)),
    "dst overlaps src": ({ e, f }) => overlapping(f, (a, b) => e.scatterAdd(a, ids(0, 1, 2), b)),
  },
  adamW: {
    "another shape of grad": (g) => adam(g, { grad: g.f(3, 2) }),
    "another shape of v": (g) => adam(g, { v: g.f(2, 4) }),
    "f16 parameters": (g) => adam(g, { param: g.h(2, 3, "f16") }),
    "16-bit gradient": (g) => adam(g, { grad: g.h(2, 3) }),
    "16-bit moment": (g) => adam(g, { m: g.h(2, 3) }),
    "m is v": (g) => itself(g.f(2, 3), (m) => adam(g, { m, v: m })),
    "param is grad": (g) => itself(g.f(2, 3), (m) => adam(g, { param: m, grad: m })),
    "step 0": (g) => adam(g, {}, { step: 0 }),
    "half a step": (g) => adam(g, {}, { step: 1.5 }),
    "a negative rate": (g) => adam(g, {}, { lr: -1e-3 }),
    "a rate that is no number": (g) => adam(g, {}, { lr: Number.NaN }),
    "beta1 of 1": (g) => adam(g, {}, { beta1: 1 }),
    "a negative beta2": (g) => adam(g, {}, { beta2: -0.1 }),
    "an infinite eps": (g) => adam(g, {}, { eps: Number.POSITIVE_INFINITY }),
    "a scale that is no number": (g) => adam(g, {}, { scale: Number.NaN }),
  },
};

type Named = Readonly<Record<string, Matrix>>;

/** A right call of rmsNormBackward but for the given matrices; so are those below. */
function normBackward({ e, f }: Given, changed: Named): void {
  const right = { x: f(3, 4), weight: f(1, 4), dOut: f(3, 4), dX: f(3, 4), dWeight: f(1, 4) };
  const { x, weight, dOut, dX, dWeight } = { ...right, ...changed };
  e.rmsNormBackward(x, weight, 1e-5, 0, dOut, dX, dWeight);
}

function attendBackward({ e, f }: Given, changed: Named, shape: Partial<AttentionShape> = {}): void {
  const [own, shared] = [() => f(2, 24), () => f(2, 12)];
  const right = { q: own(), k: shared(), v: shared(), out: own(), dOut: own(), dQ: own(), dK: shared(), dV: shared() };
  const { q, k, v, out, dOut, dQ, dK, dV } = { ...right, ...changed };
  e.attentionBackward(q, k, v, { ...attentionShape, ...shape }, out, dOut, dQ, dK, dV);
}

function gateBackward({ e, f }: Given, changed: Named): void {
  const right = { gate: f(2, 3), up: f(2, 3), dOut: f(2, 3), dGate: f(2, 3), dUp: f(2, 3) };
  const { gate, up, dOut, dGate, dUp } = { ...right, ...changed };
  e.gatedActivationBackward("silu", gate, up, dOut, dGate, dUp);
}

function adam({ e, f }: Given, changed: Named, settings: Partial<AdamWStep> = {}): void {
  const { param, grad, m, v } = { param: f(2, 3), grad: f(2, 3), m: f(2, 3), v: f(2, 3), ...changed };
  const step = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, step: 1, scale: 1 };
  e.adamW(param, grad, m, v, { ...step, ...settings });
}

export const wrongTrainingCallCases: readonly Case[] = refusals(wrongCalls);
