"""From what a person types to targets: HOST words, patterns, inventories of our own and Ansible's."""
