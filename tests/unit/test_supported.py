"""Which names of extra specs and image properties are refused: Nova's, its old ones, and other spellings of them."""

import pytest

from migrator import supported

# Names of Nova's ImageMetaProps: what it reads of an image, its old names last.
NOVA_PROPERTIES = (
    "hw_machine_type",
    "hw_cpu_cores",
    "hw_numa_mem.0",
    "hw_scsi_model",
    "hw_video_model",
    "hw_rng_model",
    "hw_watchdog_action",
    "hw_tpm_model",
    "hw_mem_encryption",
    "hw_auto_disk_config",
    "hw_architecture",
    "img_bdm_v2",
    "img_block_device_mapping",
    "img_mappings",
    "img_root_device_name",
    "img_hide_hypervisor_id",
    "img_hv_requested_version",
    "img_signature",
    "img_version",
    "os_secure_boot",
    "os_skip_agent_inject_ssh",
    "traits_required",
    "trait:HW_CPU_X86_AVX2",
    "architecture",
    "vmware_disktype",
    "vmware_image_version",
    "vmware_ostype",
    "vmware_linked_clone",
    "vmware_adaptertype",
    "auto_disk_config",
    "ipxe_boot",
    "xenapi_device_id",
    "xenapi_image_compression_level",
    "xenapi_use_agent",
    "xenapi_skip_agent_inject_ssh",
    "cache_in_nova",
    "vm_mode",
    "bittorrent",
    "mappings",
    "block_device_mapping",
    "bdm_v2",
    "root_device_name",
    "hypervisor_version_requires",
    "hypervisor_type",
    "cinder_encryption_key_id",
    "migrator:storage",
)
SPELT_PROPERTIES = ("HW_machine_type", " hw_machine_type", "Hw_Disk_Bus", "Architecture", "KERNEL_ID", "Trait:X")
NOVA_SPECS = (
    "hypervisor_type",
    "cpu_arch",
    "cpu_info",
    "free_ram_mb",
    "vcpus_total",
    "key",
    "hw_cpu_policy",
    "member_of",
    "same_subtree",
    "root_required",
    "in_tree",
    "group_policy",
    "HIDE_HYPERVISOR_ID",
    "member_of1:x",
    "same_subtree:x",
    "root_required:x",
    "trust:trusted_host",
    "migrator:foo",
    "migrator:Storage",
    "MIGRATOR:storage",
    "Capabilities:vcpus",
    "RESOURCES:VCPU",
    "Trait:X",
)
SPELT_SPECS = (" hw:cpu_policy", "hw :cpu_policy", "HW:cpu_policy", "Hw:mem_page_size", "\thw:cpu_policy", " cpu_arch")


@pytest.mark.parametrize("name", [*NOVA_PROPERTIES, *SPELT_PROPERTIES])
def test_what_nova_reads_of_an_image_is_refused_by_name_under_old_names_and_in_other_spellings(name: str) -> None:
    (said,) = supported.refused_properties({name: "nothing-of-this-name"})
    assert said.startswith(f"image property {name!r} is ")
    assert "supported: " in said


@pytest.mark.parametrize("name", [*NOVA_SPECS, *SPELT_SPECS])
def test_what_a_filter_of_nova_reads_of_a_flavor_is_refused_by_name_and_so_are_other_spellings(name: str) -> None:
    (said,) = supported.refused_extra_specs({name: "shared"})
    assert said.startswith(f"extra spec {name!r} is not supported; supported: ")


def test_a_name_in_another_spelling_is_told_the_right_one() -> None:
    assert supported.refused_extra_specs({" HW:cpu_policy": "shared"})[0].endswith(
        "supported: hw:cpu_policy, hw:boot_menu, hw:firmware_type"
    )
    assert supported.refused_properties({"KERNEL_ID": "1"})[0].endswith("supported: kernel_id")


def test_the_key_of_an_aggregates_metadata_is_as_it_is_written_and_its_scope_is_spelt_right() -> None:
    assert supported.refused_extra_specs({"aggregate_instance_extra_specs:Rack": "1"}) == []
    for name in ("Aggregate_Instance_Extra_Specs:Rack", " aggregate_instance_extra_specs:rack"):
        (said,) = supported.refused_extra_specs({name: "1"})
        assert said.endswith("supported: aggregate_instance_extra_specs:KEY")
