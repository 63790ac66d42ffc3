import { defineErrors } from "@aeon/core";

export const errors = defineErrors({
  KUBE_CONFIG_INVALID: {
    code: "failed-precondition",
    when: "The kubeconfig, or the pod's ServiceAccount files, cannot be read or used.",
    remedy: "Correct the file that the message names, or set `kubernetes.kubeconfig` to another one.",
  },
  KUBE_UNREACHABLE: {
    code: "unavailable",
    when: "The Kubernetes API server cannot be reached, or does not answer in time.",
    remedy: "Nothing on the node: aeon tries again by itself. Check the API server and the network between.",
  },
  KUBE_BUSY: {
    code: "unavailable",
    when: "The Kubernetes API server is overloaded or fails inside.",
    remedy: "Nothing on the node: aeon tries again by itself with growing pauses.",
  },
  KUBE_UNAUTHENTICATED: {
    code: "unauthenticated",
    when: "The Kubernetes API server does not accept the agent's credentials.",
    remedy:
      "Renew the token or certificate of the kubeconfig; tokens of a ServiceAccount are read again by themselves.",
  },
  KUBE_FORBIDDEN: {
    code: "permission-denied",
    when: "The agent's account may not do what the message names.",
    remedy: "Apply the roles that come with aeon's deployment, or bind the agent's account to them.",
  },
  KUBE_NOT_FOUND: {
    code: "not-found",
    when: "An object, or a whole kind of objects, does not exist in the cluster.",
    remedy: "If the message names a kind in backup.container.io, apply deploy/crds (kubectl apply -k).",
  },
  KUBE_CONFLICT: {
    code: "aborted",
    when: "An object was changed or made by somebody else at the same time.",
    remedy: "Nothing: aeon reads it again and repeats the change.",
  },
  KUBE_EXPIRED: {
    code: "out-of-range",
    when: "The API server no longer knows the version that a watch or a list wants to go on from.",
    remedy: "Nothing: aeon lists everything again.",
  },
  KUBE_REFUSED: {
    code: "invalid-argument",
    when: "The API server refuses an object as invalid.",
    remedy: "Check that the CRDs in the cluster are those of this version of aeon.",
  },
  KUBE_ANSWER_INVALID: {
    code: "internal",
    when: "An answer of the API server is too large or cannot be understood.",
    remedy: "Check what stands between the agent and the API server, such as a proxy.",
  },
});
