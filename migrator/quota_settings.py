"""The settings ``quota_*``: what a project may have, where ``os-quota-sets`` says nothing else; -1: any number.

The defaults are Nova's. ``os-quota-sets`` knows no ports: ``quota_ports`` holds for every project. Where
``auth_strategy`` is ``none`` every caller is the one administrator, who is kept from nothing that was not set.
"""

from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

_INJECTED_FILES = {"injected_files": 5, "injected_file_content_bytes": 10240, "injected_file_path_bytes": 255}

_OF_TENANTS = ("instances", "cores", "ram", "server_groups", "server_group_members", "ports")

_Limit = Annotated[int, Field(ge=-1, le=2**31 - 1)]


class QuotaSettings(BaseModel):
    quota_instances: _Limit = 10  # of a project; -1: any number, which is the default where auth_strategy is none
    quota_cores: _Limit = 20  # likewise
    quota_ram: _Limit = 51200  # MiB; likewise
    quota_metadata_items: _Limit = 128  # of one server
    quota_key_pairs: _Limit = 100  # of one user
    quota_server_groups: _Limit = 10  # likewise
    quota_server_group_members: _Limit = 10  # of one group
    quota_ports: _Limit = 500  # interfaces of a project's instances; the default is Neutron's

    @model_validator(mode="before")
    @classmethod
    def _one_administrator(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("auth_strategy", "none") != "none":
            return given
        return {f"quota_{name}": -1 for name in _OF_TENANTS} | given

    @property
    def quotas(self) -> dict[str, int]:
        """The limits by Nova's names. No file is injected into guests: those three are only shown."""
        return {
            **_INJECTED_FILES,
            "instances": self.quota_instances,
            "cores": self.quota_cores,
            "ram": self.quota_ram,
            "metadata_items": self.quota_metadata_items,
            "key_pairs": self.quota_key_pairs,
            "server_groups": self.quota_server_groups,
            "server_group_members": self.quota_server_group_members,
            "ports": self.quota_ports,
        }
