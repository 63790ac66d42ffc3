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
});
