# What the job processes of a cluster need beyond the profile. The main process, and a run on one machine, skip it.
import signal

if not workflow.is_main_process:
    # A job takes a patient through its rules one at a time, so that it asks for the largest of them, not for their sum.
    # Snakemake tells this limit (`resources: {chain: 1}` of the profile) to the main process only.
    workflow.register_resource("chain", 1)
    # The signal before a job's time is up is for the script, which saves its work. A Snakemake that it ended would take
    # the script along: nothing of a job outlives its first process.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
