"""The built-in parts of every family, one lazy table each. Nothing here is imported before it is used."""

from __future__ import annotations

from fewshot.core.registry import Entry, Registry

ENCODERS = Registry(
    "encoder",
    [
        Entry("auto", "fewshot.encoders.auto:Multilingual", "the embedded one for the language"),
        Entry("lexical", "fewshot.encoders.lexical:Lexical", "TF-IDF of words and character n-grams"),
        Entry("minilm", "fewshot.encoders.transformer:MiniLM", "embedded English sentence encoder", extra="local"),
        Entry("e5-small", "fewshot.encoders.transformer:E5Small", "embedded encoder for 93 languages", extra="local"),
        Entry("use-m3", "fewshot.encoders.use:UniversalSentenceEncoder", "embedded encoder for 16 languages, no torch"),
        Entry("steps", "fewshot.encoders.steps:Steps", "values of time series, as they are"),
        Entry("pixels", "fewshot.encoders.pixels:Pixels", "pixels of small images, as they are", extra="images"),
        Entry(
            "hf",
            "fewshot.encoders.transformer:TransformerEncoder",
            "any sentence-transformers or Hugging Face model",
            extra="local",
            positional="model",
        ),
    ],
    paths="hf",
    light="lexical",
)

SELECTORS = Registry(
    "selector",
    [
        Entry("auto", "icl.selectors.auto:Auto", "every example where all are wanted, else balanced"),
        Entry("all", "icl.selectors.all:All", "every support example"),
        Entry("random", "icl.selectors.random:Random", "M examples drawn at random"),
        Entry("balanced", "icl.selectors.balanced:Balanced", "M examples at random, classes in turn"),
        Entry("knn", "icl.selectors.knn:KNN", "the M examples most similar to the query"),
        Entry("bm25", "icl.selectors.bm25:BM25", "the M examples that share the query's rare words"),
        Entry("mmr", "icl.selectors.mmr:MMR", "M examples, similar to the query and unlike each other"),
        Entry("cone", "icl.selectors.cone:ConE", "the M examples that make the query least surprising to the model"),
        Entry("mdl", "icl.selectors.mdl:MDL", "the M examples, in order, that let the model tell a label briefly"),
        Entry("dpp", "icl.selectors.dpp:DPP", "M examples that span much of the space, near the query or not"),
        Entry("farthest", "icl.selectors.farthest:Farthest", "M examples far from each other, whatever is asked"),
        Entry("facility", "icl.selectors.facility:Facility", "M examples that stand for the pool, whatever is asked"),
        Entry("vote-k", "icl.selectors.vote_k:VoteK", "M examples that many others are like, whatever is asked"),
    ],
    parts={"encoder": (ENCODERS,)},
)

ORDERINGS = Registry(
    "ordering",
    [
        Entry("given", "icl.orderings:Given", "as the selector returned them"),
        Entry("nearest-last", "icl.orderings:NearestLast", "the most similar example next to the query"),
        Entry("entropy", "icl.entropy:Entropy", "the order after which answers spread most over the labels"),
        Entry("shuffled", "icl.orderings:Shuffled", "a random order per episode"),
        Entry("shared", "icl.orderings:Shared", "what is chosen most often first: prompts share their beginnings"),
    ],
)

SCORERS = Registry(
    "scorer",
    [
        Entry("direct", "icl.scoring.direct:Direct", "log-probability of every label after the prompt"),
        Entry("generate", "icl.scoring.generate:Generate", "let the model write, then parse strictly"),
        Entry("structured", "icl.scoring.structured:Structured", "let the model fill a JSON schema of the labels"),
        Entry("logprobs", "icl.scoring.logprobs:TopLogprobs", "the labels among the most probable first tokens"),
        Entry("decision", "icl.scoring.decision:Decide", "probabilities of a choice question, by a decision model"),
    ],
)

READOUTS = Registry(
    "readout",
    [
        Entry("labels", "icl.readouts.labels:Labels", "labels after one prompt with the selected demonstrations"),
        Entry("ensemble", "icl.readouts.ensemble:Ensemble", "mean over prompts of one demonstration per class"),
        Entry("hidden", "icl.readouts.hidden:Hidden", "nearest class mean of the hidden states after the prompt"),
        Entry("knn-prompting", "icl.readouts.knn_prompting:KNNPrompting", "vote of texts that the model judges alike"),
        Entry("supervised", "icl.readouts.supervised:Supervised", "labels, corrected by the texts that are not shown"),
        Entry("channel", "icl.readouts.channel:Channel", "the label after which the text is most probable"),
    ],
)

CALIBRATORS = Registry(
    "calibrator",
    [
        Entry("none", "icl.calibration.none:NoCalibration", "scores as they are"),
        Entry("contextual", "icl.calibration.contextual:Contextual", "divide by the scores of content-free inputs"),
        Entry(
            "domain-context",
            "icl.calibration.domain_context:DomainContext",
            "divide by the scores of random words of the support",
            positional="texts",
        ),
        Entry("pmi", "icl.calibration.pmi:PMI", "divide by the scores of the prompt without a text"),
        Entry("batch", "icl.calibration.batch:Batch", "divide by the mean score of the queries"),
    ],
)

NETWORKS = Registry(
    "network",
    [
        Entry("ngrams", "classic.networks.ngrams:NgramBag", "mean of hashed n-gram embeddings", extra="local"),
        Entry("cnn", "classic.networks.cnn:TextCNN", "convolutions over subwords", extra="local"),
        Entry("gru", "classic.networks.gru:TextGRU", "a bidirectional GRU over subwords", extra="local"),
        Entry(
            "series",
            "classic.networks.series:SeriesEncoder",
            "convolutions and an LSTM over time series",
            extra="local",
        ),
        Entry("conv4", "classic.networks.conv4:Conv4", "four convolutions over images", extra="local"),
        Entry("resnet12", "classic.networks.resnet:ResNet12", "a residual network over images", extra="local"),
        Entry("resnet18", "classic.networks.resnet:ResNet18", "the same, pretrained or not", extra="local"),
        Entry("transformer", "classic.networks.transformer:TextTransformer", "a small transformer", extra="local"),
        Entry(
            "hub",
            "classic.networks.hub:HubEncoder",
            "any Hugging Face encoder, trained",
            extra="local",
            positional="model",
        ),
    ],
)

MODELS = Registry(
    "model",
    [
        Entry("auto", "icl.models.local:smollm2", "the embedded model for the task's language", extra="local"),
        Entry(
            "ko-mini",
            "icl.models.local:ko_mini",
            "embedded Korean language model for short reviews, 9M parameters",
            extra="local",
        ),
        Entry("smollm2", "icl.models.local:smollm2", "embedded English language model, 135M parameters", extra="local"),
        Entry(
            "gemma3",
            "icl.models.local:gemma3",
            "embedded language model for many languages, 268M parameters, under the Gemma Terms of Use",
            extra="local",
        ),
        Entry(
            "hf",
            "icl.models.local:LocalModel",
            "a Hugging Face id, a model directory or a GGUF file",
            extra="local",
            positional="model",
        ),
        Entry(
            "openai",
            "icl.models.api.model:OpenAIModel",
            "a model of OpenAI, or of a server that speaks its language",
            extra="openai",
            positional="model",
            hosted=True,
        ),
        Entry(
            "anthropic",
            "icl.models.api.model:AnthropicModel",
            "a model of Anthropic",
            extra="anthropic",
            positional="model",
            hosted=True,
        ),
    ],
    paths="hf",
)

LEARNERS = Registry(
    "learner",
    [
        Entry("icl", "icl.learner:ICLLearner", "in-context learning with a language model"),
        Entry("metaicl", "icl.metaicl:MetaICL", "a language model meta-trained to learn in context"),
        Entry("crosslingual", "icl.crosslingual:CrossLingualPrototypes", "nearest class mean, in another language"),
        Entry("prototypes", "classic.learners.prototypes:Prototypes", "nearest class mean of a frozen encoder"),
        Entry("simpleshot", "classic.learners.simpleshot:SimpleShot", "prototypes about the mean of training classes"),
        Entry("probe", "classic.learners.probe:Probe", "logistic regression on a frozen encoder"),
        Entry("soft-kmeans", "classic.learners.soft_kmeans:SoftKMeans", "class means that the queries move"),
        Entry("laplacianshot", "classic.learners.laplacianshot:LaplacianShot", "prototypes; similar queries agree"),
        Entry("alpha-tim", "classic.learners.alpha_tim:AlphaTIM", "prototypes; sure and varied answers"),
        Entry("transport", "classic.learners.transport:Transport", "class means, queries by optimal transport"),
        Entry("protonet", "classic.algorithms.protonet:Learner", "nearest class mean in a meta-learned space"),
        Entry("matching", "classic.algorithms.matching:Learner", "attention over the support, meta-learned"),
        Entry("relation", "classic.algorithms.relation:Learner", "a meta-learned similarity"),
        Entry("siamese", "classic.algorithms.siamese:Learner", "pairs of texts, same class or not, meta-learned"),
        Entry("maml", "classic.algorithms.maml:Learner", "meta-learned start of a few gradient steps"),
        Entry("fomaml", "classic.algorithms.fomaml:Learner", "MAML without second derivatives"),
        Entry("anil", "classic.algorithms.anil:Learner", "MAML that adapts the head alone"),
        Entry("metasgd", "classic.algorithms.metasgd:Learner", "MAML that learns its step sizes"),
        Entry("protomaml", "classic.algorithms.protomaml:Learner", "MAML whose head starts at the class means"),
        Entry("boil", "classic.algorithms.boil:Learner", "MAML that adapts all but the head"),
        Entry("cavia", "classic.algorithms.cavia:Learner", "MAML that adapts a few context numbers"),
        Entry("mamlpp", "classic.algorithms.mamlpp:Learner", "MAML++: step sizes per layer and step, stabilised"),
        Entry("imaml", "classic.algorithms.imaml:Learner", "MAML by its solution: memory flat in inner steps"),
        Entry("reptile", "classic.algorithms.reptile:Learner", "meta-learned start, towards every task's solution"),
        Entry("r2d2", "classic.algorithms.r2d2:Learner", "ridge regression on meta-learned features"),
        Entry(
            "metaoptnet",
            "classic.algorithms.metaoptnet:Learner",
            "ridge regression with smoothed labels, its penalty given",
        ),
        Entry("metabaseline", "classic.algorithms.metabaseline:Learner", "classify, then meta-learn class means"),
        Entry("mann", "classic.algorithms.mann:Learner", "an LSTM with a memory that reads the support"),
        Entry("snail", "classic.algorithms.snail:Learner", "causal convolutions and attention over the support"),
        Entry("metanet", "classic.algorithms.metanet:Learner", "fast weights from the gradients of the support"),
        Entry("idmn", "classic.algorithms.idmn:Learner", "class means of images, and of such that are fused of two"),
        Entry("tapnet", "classic.algorithms.tapnet:Learner", "class means weighted by meta-learned attention"),
        Entry("contrastnet", "classic.algorithms.contrastnet:Learner", "texts near their class, by a contrastive loss"),
        Entry("protaugment", "classic.algorithms.protaugment:Learner", "protonet that also learns from paraphrases"),
        Entry("multitask", "classic.algorithms.multitask:Learner", "a classifier of all base classes, then a new head"),
        Entry("finetune", "classic.learners.finetune:FineTune", "an encoder fine-tuned on the support"),
        Entry("lora", "classic.learners.lora:LoRA", "low-rank adapters trained on the support"),
        Entry("setfit", "classic.learners.setfit:SetFit", "pairs of the support, then a probe"),
        Entry("fastfit", "classic.learners.fastfit:FastFit", "the most similar tokens, trained on the support or not"),
        Entry("pet", "classic.learners.pet:PET", "a cloze question to a masked language model, tuned on the support"),
        Entry("nli", "classic.learners.entailment:Entailment", "the label whose hypothesis follows from the text"),
        Entry("token-nn", "classic.learners.token_nn:TokenNeighbours", "entities by the nearest tokens of the support"),
        Entry("chance", "classic.baselines:Chance", "a uniform guess"),
        Entry("majority", "classic.baselines:Majority", "the most frequent label of the support"),
        Entry("nn", "classic.baselines:NearestNeighbour", "the label of the nearest support text"),
        Entry("tfidf", "classic.baselines:LexicalPrototypes", "nearest class mean of TF-IDF vectors"),
    ],
    parts={
        "encoder": (ENCODERS, NETWORKS),
        "model": (MODELS,),
        "selector": (SELECTORS,),
        "order": (ORDERINGS,),
        "readout": (READOUTS,),
        "method": (SCORERS,),
        "calibrate": (CALIBRATORS,),
    },
)

#: What `recommend` tries on someone's own texts beside the baselines, in the order of cost. Language models, and tasks
#: that a learner is trained on, are spelt out: a rung is left out where they are not here, or not for the language.
LADDER = (
    "tfidf",
    "probe:encoder=lexical",
    "prototypes:encoder=auto",
    "probe:encoder=auto",
    "icl:model=ko-mini",
    "protonet:encoder=auto,train=intents-ko,train_way=5,train_shot=5,steps=100,n_valid=50",
    "protonet:encoder=auto,train=intents-en,train_way=5,train_shot=5,steps=100,n_valid=50",
    "icl:model=smollm2",
    "setfit:encoder=auto",
)

#: What larger models of the Hugging Face hub `recommend` points to: the encoder by language, and a language model.
LARGER_ENCODERS = {"en": "hf:sentence-transformers/all-mpnet-base-v2"}
MULTILINGUAL_ENCODER = "hf:BAAI/bge-m3"
MULTILINGUAL_MODEL = "hf:Qwen/Qwen2.5-1.5B-Instruct"

ENGINES = Registry(
    "engine",
    [
        Entry("local", "evals.engines.local:LocalEngine", "this process"),
        Entry(
            "ray", "evals.engines.cluster:RayEngine", "the workers of a Ray cluster", extra="ray", positional="workers"
        ),
    ],
    option="--engine",
)

TRACKERS = Registry(
    "tracker",
    [
        Entry(
            "tensorboard",
            "evals.trackers.events:TensorBoard",
            "event files for TensorBoard",
            extra="tensorboard",
            positional="folder",
        ),
        Entry("mlflow", "evals.trackers.experiments:MLflow", "an MLflow run", extra="mlflow", positional="experiment"),
    ],
)

FAMILIES = {
    registry.family: registry
    for registry in (
        LEARNERS,
        SELECTORS,
        ORDERINGS,
        READOUTS,
        SCORERS,
        CALIBRATORS,
        ENCODERS,
        NETWORKS,
        MODELS,
        ENGINES,
        TRACKERS,
    )
}
