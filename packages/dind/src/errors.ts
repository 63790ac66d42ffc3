import { defineErrors } from "@aeon/core";

export const errors = defineErrors({
  DIND_PROGRAM_FAILED: {
    code: "failed-precondition",
    when: "A program that aeon needs for a DinD container (mount, mkfs, nsenter, dpkg-deb, apt-get) fails or is missing.",
    remedy: "Read what it said in the message; install util-linux, e2fsprogs and tar on the host.",
  },
  DIND_ENGINE_OUTDATED: {
    code: "failed-precondition",
    when: "Docker's engine or runc in a DinD image lacks fixes without which a container gets out of it.",
    remedy: "Build the image again from newer packages: aeonctl dind image build.",
  },
  DIND_IMAGE_INVALID: {
    code: "invalid-argument",
    when: "The configured DinD image was not built by aeonctl dind image build, or files for it are missing.",
    remedy: "Build it with aeonctl dind image build and import it with aeonctl dind image import.",
  },
  DIND_IMAGE_MISSING: {
    code: "not-found",
    when: "The DinD image is neither in containerd nor in the configured archive.",
    remedy: "Import it with aeonctl dind image import, or name its archive in dind.image-archive.",
  },
  DIND_NAMESPACE_FAILED: {
    code: "unavailable",
    when: "The mount tree or the network of a main container cannot be reached, usually because it is ending.",
    remedy: "Start it again while the container runs; the kernel must be 5.12 or later.",
  },
  DIND_SOCKET_TAKEN: {
    code: "failed-precondition",
    when: "Something that aeon did not make is where the Docker socket of a container has to be.",
    remedy: "Remove /run/docker.sock and /var/run/docker.sock from the image or the volume.",
  },
  DIND_FILTER_FAILED: {
    code: "unavailable",
    when: "The process that filters Docker's API does not start or does not answer.",
    remedy: "Read its log, which the message names; aeon tries again.",
  },
  DIND_MAIN_NOT_RUNNING: {
    code: "failed-precondition",
    when: "Docker is asked for in a container that does not run.",
    remedy: "Start the container first; `aeonctl containers ls` shows those that are known.",
  },
  DIND_NOT_FOUND: {
    code: "not-found",
    when: "A container has no DinD container.",
    remedy: "aeonctl dind ls shows those that there are; aeonctl dind start makes one.",
  },
  DIND_USER_NAMESPACE_UNAVAILABLE: {
    code: "failed-precondition",
    when: "dind.user-namespace is always, and the main container has no user namespace that a DinD container could join.",
    remedy: "Give the pod hostUsers: false, or set dind.user-namespace to auto.",
  },
  DIND_DAEMON_FAILED: {
    code: "unavailable",
    when: "dockerd does not start or does not answer on its socket.",
    remedy: "Read the end of its log in the message; aeon starts it again with growing pauses.",
  },
});
