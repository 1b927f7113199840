"""The worker: the process that runs user code for a Sostenuto server. Start it with `python -m sostenuto.worker`.

`process` reads and writes messages, `app` holds the loaded application and its runs, `run` drives one invocation,
`operations` is what it can wait for, `cells` and `views` are its fields, `codec` and `exceptions` encode, `loader` and
`services` set up the user's classes, `draws` and `output` are its clock, chance and text.
"""
