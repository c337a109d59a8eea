package cluster

import "testing"

// TestPods runs what can be run side by side. The tests that follow it stop
// what all of these need.
func TestPods(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"DeployedManifests":        testDeployedManifests,
		"Installer":                testInstaller,
		"RuntimeClass":             testRuntimeClass,
		"Webhook":                  testWebhook,
		"Resize":                   testResize,
		"Eviction":                 testEviction,
		"Stats":                    testStats,
		"Top":                      testTop,
		"HostNetworkPod":           testHostNetworkPod,
		"UserNamespacePod":         testUserNamespacePod,
		"StaticPod":                testStaticPod,
		"Node":                     testNode,
		"Probes":                   testProbes,
		"Streams":                  testStreams,
		"Logs":                     testLogs,
		"DebugContainer":           testDebugContainer,
		"Hooks":                    testHooks,
		"Configuration":            testConfiguration,
		"SharedVolumes":            testSharedVolumes,
		"BothSystems":              testBothSystems,
		"WindowsPod":               testWindowsPod,
		"DeploymentAndService":     testDeploymentAndService,
		"InitAndSidecarContainers": testInitAndSidecarContainers,
		"Restarts":                 testRestarts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}
