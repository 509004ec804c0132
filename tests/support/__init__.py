"""What tests share: make-believe hosts and clocks, records, oracles, the ways into the lab."""
