"""The chapters of `fanin lecture`: ideas of the lecture, run on real data and told in order."""

# In the lecture's order; each is a module with a function `chapter`.
CHAPTERS = (
    "preprocessing",
    "init",
    "sgd",
    "optimizers",
    "regularization",
    "ensembles",
    "dropout",
    "augmentation",
    "dropconnect",
    "mixing",
    "tuning",
)
