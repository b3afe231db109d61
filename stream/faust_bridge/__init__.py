"""Every subclass of Faust's classes and every use of its internals; `upstream_internals` lists them.

    app = build_app(settings, processor, observer)
    run(app)      # or: faust -A agents worker

Faust runs the group: it joins, hears of revoked and assigned partitions (`consumer`, on the thread of
`consumer_thread`), and holds the table (`store`) and its recovery (`recovery`). Each of them asks the
engine's `Lanes` what to do.
"""
