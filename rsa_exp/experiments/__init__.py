"""What is done with runs: one verb a module.

The functions of the commands return the exit status and raise `InputError` for a name, a file or a
store that cannot be used. Runs and sweeps are named as `rsa_exp.experiments.lookup.find` takes
them, and `store_folder` is the folder of the local store, unless ``MLFLOW_TRACKING_URI`` is set.
"""
