"""What holds of runs, steps, tasks and messages after every call, whatever came before."""
