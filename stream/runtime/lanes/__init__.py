"""The ground the worker stands on: Faust's agents, our batches, Kafka's transactions.

A lane is one partition number of all source topics.
It folds its records in batches and commits each batch in one Kafka transaction: outputs, changelog, source
offsets.
This package is the one place that touches Faust's inside; `ground.py` lists what it replaces and relies on.

    app = lanes.build_app(settings, processor, observer)

    @app.agent(app.lanes.topic(topics.callbacks))
    async def callbacks(stream):
        async for event in stream.noack().events():
            app.lanes.put(event)

    lanes.run(app)      # or: faust -A agents worker
"""

from stream.runtime.lanes.app import LanesApp, build_app
from stream.runtime.lanes.batch import KEYED, Batch, Output, Processor, Record
from stream.runtime.lanes.observer import NullObserver, Observer, Phase
from stream.runtime.lanes.process import run
from stream.runtime.lanes.progress import Progress

__all__ = [
    "KEYED",
    "Batch",
    "LanesApp",
    "NullObserver",
    "Observer",
    "Output",
    "Phase",
    "Processor",
    "Progress",
    "Record",
    "build_app",
    "run",
]
