"""Every subclass of Faust's classes and every use of its internals; `upstream_internals` lists them.

app = build_app(settings, processor, observer)

@app.agent(app.lanes.topic(topics.callbacks))
async def callbacks(stream):
    async for event in stream.noack().events():
        app.lanes.put(event)

run(app)      # or: faust -A agents worker
"""
