def write_page(path, report):
    path.write_text("<p>to come</p>")
