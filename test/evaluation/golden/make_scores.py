"""Writes scores.json beside this file: pip install rouge==1.0.1 rouge_score==0.1.2 scipy statsmodels scikit-learn.

--all FILE writes 300 pairs of texts for a look once; 24 of them are kept.
"""
import json, os, random, sys
import rouge
from rouge_score import rouge_scorer
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar

random.seed(5)
WORDS = "the a cat Cat sat mat. dog, dogs U.S. 3.5 1,000 it's well-known caf\u00e9 na\u00efve \u0130 \u212a end. Yes! no? hello\tworld \u00a0 x".split(" ")


def text():
    parts = [random.choice(WORDS) + random.choice([" ", " ", " ", "  ", "\n", ". ", "."]) for _ in range(random.randint(1, 25))]
    return "".join(parts)


scorer = rouge_scorer.RougeScorer(["rouge1"], use_stemmer=False)


def pair():
    a, r = text(), text()
    sets = rouge.Rouge(metrics=["rouge-1"]).get_scores(a, r)[0]["rouge-1"]
    counts = scorer.score(r, a)["rouge1"]
    return {"answer": a, "reference": r, "sets": [sets["p"], sets["r"], sets["f"]], "counts": list(counts)}


def tests():
    out = []
    for n in [1, 8, 40, 330]:
        a = [random.random() < 0.4 for _ in range(n)]
        b = [random.random() < 0.5 if random.random() < 0.5 else v for v in a]
        cells = [[sum(x == u and y == v for x, y in zip(a, b)) for v in (1, 0)] for u in (1, 0)]
        k = float(cohen_kappa_score(a, b)) if n > 1 else None
        out.append({"a": a, "b": b, "p": float(mcnemar(cells, exact=True).pvalue), "kappa": k})
    return out


pairs = [pair() for _ in range(300)]
if sys.argv[1:2] == ["--all"]:
    json.dump(pairs, open(sys.argv[2], "w"))
else:
    tails = [[k, n, float(binomtest(k, n).pvalue)] for k, n in [(0, 6), (3, 20), (40, 100), (900, 2000)]]
    here = os.path.join(os.path.dirname(__file__), "scores.json")
    made = {"maker": "make_scores.py, seed 5", "pairs": pairs[:24], "tests": tests(), "tails": tails}
    with open(here, "w") as file:
        json.dump(made, file)
        file.write("\n")
