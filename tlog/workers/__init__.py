"""Front ends in processes of their own: they do HTTP, one process is the only writer.

The process that holds the data directory (the *core*) accepts connections and hands them to the
workers; their calls on the logs come back to it in batches over one local socket a worker.
"""
