"""The providers in a box: simulated calls whose outputs are known, their reports, and the network's faults.

    calls  <  twilio, telnyx  <  rest, delivery, check  <  traffic, accounts, run

`calls` decides what happens to a call, `twilio` and `telnyx` what its provider reports of it. `rest` serves
the rows, `delivery` sends webhooks and writes records, `check` compares what came out with the expected
outputs. `traffic` puts the reports of many calls in order, and `run` does all of it once.
Only the command line imports this package.
"""
