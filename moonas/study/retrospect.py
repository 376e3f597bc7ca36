"""What a search says of itself when it has ended."""

from __future__ import annotations

import pandas as pd

from moonas.report.prediction import prediction_remarks
from moonas.report.remarks import remarks
from moonas.report.timed_front import timing_remarks
from moonas.spec.encoding import file_of
from moonas.study.assemble_energy import why_modelled
from moonas.study.columns import predicted_devices
from moonas.study.study import Study
from moonas.study.this_machine import why_not_timed


def retrospect(study: Study, trials: pd.DataFrame, front: pd.DataFrame) -> list[str]:
    """Sentences on what looks wrong with a search, or is easily taken for more than it is.

    Args:
        study: that has run.
        trials: of it.
        front: of these.
    """
    said = remarks(
        trials,
        study.spec.score,
        objectives=study.objectives,
        notes=study.metric_notes,
        why_modelled=why_modelled(study.spec),
    )
    devices = predicted_devices(study.spec)
    if devices:
        said += prediction_remarks(
            trials, front, devices=devices, encoding=file_of(study.spec.encoding), task=study.task
        )
    why_not = why_not_timed(study.spec) if len(front) else ""
    return [*said, *timing_remarks(front), *filter(None, [why_not])]
