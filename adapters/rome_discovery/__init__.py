"""Discovery modules: the database APIs of services, adapted to ROME and chosen by configuration.

    [database]
    backend = rome_discovery.cinder.api     # cinder up to 28, and services that load their API by oslo.db's DBAPI

    [DEFAULT]
    data_api = rome_discovery.glance.api    # glance up to 19

    [discovery]
    connection = rome+redis://localhost:6379/cinder

Other services have the module of their API hard-coded (nova, newer cinder and glance). There, add one line at the end
of that module: `import rome_discovery.nova.api`.

`rome_discovery.port` ports other services; `rome_discovery.options` defines the options of `[discovery]`.
"""
