"""What a guide is to learn: classes, values, or several labels a row.

All that its steps ask of targets and outputs stands in a `Task`; the steps are the same for each.
"""

from fanin.tuning.guide.tasks.classification import Classification
from fanin.tuning.guide.tasks.multilabel import Multilabel
from fanin.tuning.guide.tasks.regression import Regression
from fanin.tuning.guide.tasks.task import Task, Words

TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "regression": Regression,
    "multilabel": Multilabel,
}

__all__ = ["TASKS", "Classification", "Multilabel", "Regression", "Task", "Words"]
