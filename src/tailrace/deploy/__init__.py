"""What a configuration needs on AWS: one model of it as values, and how it is written for each tool.

`plan` turns a configuration into a `Deployment`, and holds every rule. `cloudformation`, `sam`, `cdk` and `terraform` write
that model down, and hold none. Nothing here opens a file or a connection.
"""
