def explain_file(path, config):
    return ""
