"""A simulator: the real jobs, rules and manifest code against a model of the table, the store and the target, under faults.

::

    python -m tailrace.testing.sim --seeds 0:20000 --jobs 2     # a summary, and one JSON document at the end
    python -m tailrace.testing.sim --seed 4711 --trace          # one history, again, as readable lines
    python -m tailrace.testing.sim --seed 4711 --shrink         # the smallest part of it that still fails

A seed decides everything beforehand (`plan`); a history runs on one virtual clock (`world`), one task at a time (`baton`);
and each publication and each commit is compared with what the simulator knows to have happened (`oracles`).
"""
