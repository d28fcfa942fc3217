"""Extract features once, so that every kernel is in numba's cache."""

from features import FEATURE_SETS, feature_set
from services.commands.faust_worker import warm_up

warm_up([feature_set(name) for name in FEATURE_SETS])
