// Package admission is Paddock's admission webhook. It writes down, as an
// annotation of each Linux pod that Paddock is to run, what a Windows kubelet
// would not pass on (package carry), and takes the annotation away from every
// other pod: what it says is always what the pod's spec says. A second annotation
// names the handler of pods of either system, for kubelet does not name it when it
// asks for their images.
//
// Its certificates are its own (Certificates): a CA that it makes, keeps in a
// Secret, announces in the MutatingWebhookConfiguration and replaces in time.
//
//	           create                two thirds of its life are over
//	(no CA) ───────────▶ CA 1, cert 1 ───────────────────────────────▶ CA 2 and 1 announced, cert 1
//	                          ▲                                                │ settled
//	                          └──────── CA 2 and 1 announced, cert 2 ◀─────────┘
//
// A CA is announced before anything is signed with it, for the API server hears
// of an announcement later than the webhook's replicas do.
package admission
