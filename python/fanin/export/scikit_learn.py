from_sklearn = None
