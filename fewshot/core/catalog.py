"""The built-in parts of every family, one lazy table each. Nothing here is imported before it is used."""

from __future__ import annotations

from fewshot.core.registry import Entry, Registry

LEARNERS = Registry(
    "learner",
    [
        Entry("icl", "icl.learner:ICLLearner", "in-context learning with a language model", extra="local"),
        Entry("chance", "classic.baselines:Chance", "a uniform guess", baseline=True),
        Entry("majority", "classic.baselines:Majority", "the most frequent label of the support", baseline=True),
        Entry("nn", "classic.baselines:NearestNeighbour", "the label of the nearest support text", baseline=True),
        Entry("tfidf", "classic.baselines:LexicalPrototypes", "nearest class mean of TF-IDF vectors", baseline=True),
    ],
)

SELECTORS = Registry(
    "selector",
    [
        Entry("all", "icl.selectors.all:All", "every support example"),
        Entry("random", "icl.selectors.random:Random", "M examples drawn at random"),
        Entry("balanced", "icl.selectors.balanced:Balanced", "M examples at random, classes in turn"),
        Entry("knn", "icl.selectors.knn:KNN", "the M examples most similar to the query"),
        Entry("mmr", "icl.selectors.mmr:MMR", "M examples, similar to the query and unlike each other"),
    ],
)

ORDERINGS = Registry(
    "ordering",
    [
        Entry("given", "icl.orderings:Given", "as the selector returned them"),
        Entry("nearest-last", "icl.orderings:NearestLast", "the most similar example next to the query"),
        Entry("shuffled", "icl.orderings:Shuffled", "a random order per episode"),
    ],
)

SCORERS = Registry(
    "scorer",
    [
        Entry("direct", "icl.scoring.direct:Direct", "log-probability of every label after the prompt"),
        Entry("generate", "icl.scoring.generate:Generate", "let the model write, then parse strictly"),
    ],
)

CALIBRATORS = Registry(
    "calibrator",
    [
        Entry("none", "icl.calibration:NoCalibration", "scores as they are"),
        Entry("contextual", "icl.calibration:Contextual", "divide by the scores of content-free inputs"),
        Entry("batch", "icl.calibration:Batch", "divide by the mean score of the queries", transductive=True),
    ],
)

ENCODERS = Registry(
    "encoder",
    [
        Entry("lexical", "fewshot.encoders.lexical:Lexical", "TF-IDF of words and character n-grams"),
        Entry("minilm", "fewshot.encoders.transformer:MiniLM", "embedded English sentence encoder", extra="local"),
        Entry(
            "hf",
            "fewshot.encoders.transformer:TransformerEncoder",
            "any sentence-transformers or Hugging Face model",
            extra="local",
            positional="model",
        ),
    ],
)

MODELS = Registry(
    "model",
    [
        Entry("smollm2", "icl.models.local:smollm2", "embedded English language model, 135M parameters", extra="local"),
        Entry(
            "hf",
            "icl.models.local:LocalModel",
            "a Hugging Face id, a model directory or a GGUF file",
            extra="local",
            positional="model",
        ),
    ],
)

FAMILIES = {
    registry.family: registry for registry in (LEARNERS, SELECTORS, ORDERINGS, SCORERS, CALIBRATORS, ENCODERS, MODELS)
}
